# METADATA
# title: What is logged of a decision
# description: The event is the input, and what it holds of a request's input says what to mask or drop.
package system.log

# METADATA
# description: |
#   As the request's input says, well formed or not; undefined where it does not. With `break_mask` two values at once,
#   with `loop` a value that takes minutes.
# scope: document
# entrypoint: true
mask := input.input.mask

mask := value if {
	input.input.break_mask
	some value in [["/input"], ["/result"]]
}

mask := ["/input" | _loops > 0] if input.input.loop

# A step through a set takes no memory, unlike one through an array.
_loops := count([1 |
	some one in _numbers
	some other in _numbers
	one == other
])

_numbers := {number | some number in numbers.range(1, 50000)}

# METADATA
# description: As the request's input says, a boolean or not.
# scope: document
# entrypoint: true
drop := input.input.drop
