-- What is sent as a plan, see includes/limit.lua, or in place of one, see includes/add.lua: its JSON, or among which of the arguments that
-- is. Decoded once for all decisions of a call.
local sent_plans = {}

local function sent_plan(sent)
  local known = sent_plans[sent]
  if not known then
    known = cjson.decode(match(sent, '^%d+$') and ARGV[sent + 0] or sent)
    sent_plans[sent] = known
  end
  return known
end
