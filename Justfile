# The menu. Every line calls `cargo xtask`, which works without just too.

set positional-arguments

# List what there is
[private]
default:
    @"{{ just_executable() }}" --list

# See the node work on a scan (just demo --scan FILE)
demo *args:
    cargo xtask demo "$@"

# Build everything and run every test
test *args:
    cargo xtask test "$@"

# Run the test cases of every runner
test-plugins:
    cargo xtask test-plugins

# Build the runners into target/plugins
plugins:
    cargo xtask plugins

# Measure everything, or print a part (just bench tasks), or count instructions (just bench instructions)
bench *args:
    cargo xtask bench "$@"

# Fuzz the parsers of domain data (just fuzz --seconds 600 cid)
fuzz *args:
    cargo xtask fuzz "$@"

# Run the control plane on simulated servers (just simulate --seeds 10000)
simulate *args:
    cargo xtask simulate "$@"

# Make this machine able to build runners
setup:
    cargo xtask setup

# Check format, structure, clippy and rustdoc
lint:
    cargo xtask lint

# Check layers, features, import circles and module style (seconds)
structure:
    cargo xtask structure

# Write the documents that are made from tables and golden files (just docs --check)
docs *args:
    cargo xtask docs "$@"

# Check the dependencies' licences, sources and duplicates, and look for advisories
deny:
    cargo xtask deny

# Build the node for production, and write its SBOM beside it
release:
    cargo xtask release

# Check alert rules, dashboard, systemd units and Kubernetes manifests
deploy:
    cargo xtask deploy

# Make the root of the container image and try the node in it
container *args:
    cargo xtask container "$@"

# The .deb and its unit under a real systemd that boots for it; takes root
booted *args:
    cargo xtask booted "$@"

# Make packages and try each (just package deb wheel npm)
package *args:
    cargo xtask package "$@"

# Everything that must hold before a change goes in
ci:
    cargo xtask ci
