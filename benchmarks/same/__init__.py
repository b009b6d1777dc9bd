"What *same* means: definitions held against known features, and against each other on real models."
