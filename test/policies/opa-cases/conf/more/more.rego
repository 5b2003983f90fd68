# METADATA
# description: A package whose only rule is undefined.
package conf.more

# METADATA
# entrypoint: true
never if false
