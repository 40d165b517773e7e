"""The shards in the forms of other trainers: Megatron's `.bin/.idx` and MosaicML's MDS."""
