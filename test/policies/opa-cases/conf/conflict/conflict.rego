# METADATA
# description: Two values for one input.
package conf.conflict

# METADATA
# scope: document
# entrypoint: true
p := 1 if input.one

p := 2 if input.two
