-- floor(a * b / d) and the remainder, exactly, also where the product is beyond 2^53. The same as mul-div.ts.
-- Eleven steps at most, whatever the arguments.
local function mul_div(a, b, d)
  local product = a * b
  if product <= MAX_AMOUNT then return floor(product / d), product % d end
  local whole_part, part = floor(a / d), a % d
  local quotient, remainder = 0, 0
  for chunk = 10, 0, -1 do
    local digit = floor(b / 32 ^ chunk) % 32
    local sum = remainder * 32 + part * digit
    quotient = quotient * 32 + floor(sum / d)
    remainder = sum % d
  end
  return whole_part * b + quotient, remainder
end
