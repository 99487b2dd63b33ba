#!/bin/sh
# Submit a run to a cluster that takes jobs (`pip install 'ray[default]'` here, for `ray job`):
#   RAY_ADDRESS=http://head:8265 sh job.sh /data/scans.toml
# Not for small files that the hosted service reads, nor for PDFs with text that one machine reads in a day: README.md.
# The job runs on the head node. The manifest, and the folders that it names, must be there, on a disk that the head alone
# writes; every node needs reducto-batcher[ray] of one version. Submitted again, it resumes; while it runs, exit code 5. Ray
# runs anyone's code who reaches it: only within a private network. Passwords of documents reach the nodes that read them.
set -eu
manifest=${1:?which manifest, as the head node sees it}
exec ray job submit --address "${RAY_ADDRESS:-http://127.0.0.1:8265}" -- batcher run "$manifest" --on ray
