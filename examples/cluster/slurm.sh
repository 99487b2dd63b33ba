#!/bin/bash
# A Ray cluster on the nodes of a Slurm job, and a run on the first of them: sbatch slurm.sh scans.toml
# Not for small files that the hosted service reads, nor for PDFs with text that one machine reads in a day: README.md.
# reducto-batcher[ray] must be the same on every node. `output.ledger` must be on a disk of the first node, or on one that no
# other job writes; submitted again, it resumes. Ray runs anyone's code who reaches it: only within a private network.
# Passwords of documents reach the nodes that read them.
#SBATCH --job-name=batcher
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --time=12:00:00
#SBATCH --signal=B:TERM@600
set -euo pipefail
manifest=${1:?which manifest}
port=6379
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname --ip-address | cut -d ' ' -f 1)

srun --nodes=1 --ntasks=1 --overlap --nodelist="$head" \
    ray start --head --block --node-ip-address="$address" --port="$port" --disable-usage-stats &
sleep 15
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then
    srun --nodes=$((SLURM_JOB_NUM_NODES - 1)) --ntasks=$((SLURM_JOB_NUM_NODES - 1)) --overlap --exclude="$head" \
        ray start --block --address="$address:$port" --disable-usage-stats &
    sleep 15
fi

# ten minutes before the end Slurm's signal stops submissions; what is in flight is fetched, and exit code 3 says: again
srun --nodes=1 --ntasks=1 --overlap --nodelist="$head" \
    batcher run "$manifest" --on ray -S cluster.address="$address:$port" &
run=$!
trap 'kill -TERM $run' TERM
code=0
wait $run || code=$?
while kill -0 $run 2>/dev/null; do code=0; wait $run || code=$?; done
exit $code
