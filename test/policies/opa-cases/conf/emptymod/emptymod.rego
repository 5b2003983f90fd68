# METADATA
# description: A package without a rule.
package conf.emptymod
