# METADATA
# description: A built-in that fails for one input.
package conf.div

# METADATA
# scope: document
# entrypoint: true
default p := false

p if 1 / input.zero > 0
