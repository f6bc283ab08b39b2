"""The insert-only record: store, hash chain, anchors, bundle, merging."""
