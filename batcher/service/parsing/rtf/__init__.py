"""RTF: tokens, the state of groups, words in their code pages, and what is written of them."""
