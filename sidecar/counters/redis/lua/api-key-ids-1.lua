#!lua
-- Tells ids of API keys, in no order, of those that one step over all of them comes by.
--
-- KEYS[1]  the API keys
-- ARGV[1]  where the step begins: 0, or what the last step returned
-- ARGV[2]  how many it looks at, about
-- ARGV[3]  the tenant whose they are to be, as JSON; empty: of any
--
-- Returns where the next step begins (0: this was the last one), then the ids; one may come again.
--
-- @include whole
-- @include api-keys

-- Within a string of JSON, a quotation mark has a backslash before it: so no name can hold this.
local owner = ARGV[3] ~= '' and '"tenant_id":' .. ARGV[3]
local next_step, found = scan_keys(KEYS[1], ARGV[1], ARGV[2])
local out = { next_step }
for i = 1, #found, 2 do
  local is_key = found[i] ~= PUBLISHED
  if is_key and (not owner or string.find(found[i + 1], owner, 1, true)) then out[#out + 1] = found[i] end
end
return out
