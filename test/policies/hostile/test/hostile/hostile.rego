# METADATA
# title: What a policy should not do
# description: One entrypoint for each way to fail once it runs; how badly, `input.n` says.
package test.hostile

# METADATA
# description: |
#   Takes time with the square of `n`, and memory with `n` alone: a step through a set takes none, unlike one through an
#   array, which 64 MiB would end after a million.
# scope: document
# entrypoint: true
loop := count([1 |
	some one in _to_n
	some other in _to_n
	one == other
])

_to_n := {number | some number in numbers.range(1, input.n)}

# METADATA
# description: Takes memory with the square of `n`, and holds it.
# scope: document
# entrypoint: true
memory := count([row |
	some i in numbers.range(1, input.n)
	row := [cell | some j in numbers.range(1, input.n); cell := i * j]
])

# METADATA
# description: Has `n` values at once, which is an error from 2 on.
# scope: document
# entrypoint: true
conflict := value if some value in numbers.range(1, input.n)

# METADATA
# description: Does no harm; shows that the others are served.
# scope: document
# entrypoint: true
harmless := input.n
