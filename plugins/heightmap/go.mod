module heightmap

go 1.27

require posemesh v0.2.0

replace posemesh => ../../sdk/go/posemesh
