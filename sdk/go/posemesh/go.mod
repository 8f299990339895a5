module posemesh

go 1.27
