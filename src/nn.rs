//! Layers, parameters, optimisers and data-parallel shards on top of candle.
