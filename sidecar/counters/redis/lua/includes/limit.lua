-- A plan as it is sent, in two halves. One says how it is made and what the rule of each limit is: many decisions of a call send the
-- same, which is decoded and checked once for all of them. The other is what is the limits' own, a line for each in the order of
-- the plan: `<field> <cost> <JSON of its id>`. In one, what was decoded anew for each decision took 7 of 50 µs.
--
-- A plan is JSON {rules: [rule], keys: [[place]], common, candidates: [{model, json, on, limits, gates: [{key, json, why}]}]}
--   keys        of which limits, by their places in `rules`, the fields of each key are read together
--   common      how many of the limits are drawn on whatever the candidate; those of each candidate follow
--   candidates  `limits` is how many it has; `on`, if there is one, for which reasons those before it may have been passed over, as an
--               object
-- A rule is a list, for names that are sent with each were half of what was read and decoded:
--   kind (t, w or c), key, unit, capacity, deny, settles, shared, thresholds, counts ('': its unit), event (how it goes on
--   behind its id in a usage event, as JSON members with a comma before them), then
--   t  amount, period, interval    w  bounds, usual, rollover
local NOT_WHOLE = 'capacity and cost are not both whole numbers'
local plans, costs = {}, {}

local function problem_of(rule)
  if not is_whole(rule.capacity) then return NOT_WHOLE end
  if rule.kind == 't' and not (is_whole(rule.amount) and is_whole(rule.period) and rule.amount > 0 and rule.period > 0) then
    return 'amount and period are not both whole numbers above 0'
  end
end

local function rule_of(list)
  local kind, a, b, c = list[1], list[11], list[12], list[13]
  local rule = {
    kind = kind, key = list[2], unit = list[3], capacity = list[4], deny = list[5], settles = list[6], shared = list[7],
    thresholds = list[8], counts = list[9] ~= '' and list[9] or nil, event = list[10],
  }
  if kind == 't' then rule.amount, rule.period, rule.interval = a, b, c end
  if kind == 'w' then rule.bounds, rule.usual, rule.rollover = a, b, c end
  rule.problem = problem_of(rule)
  return rule
end

-- `sent`: its JSON, or among which of the arguments that is.
local function plan_of(sent)
  local known = plans[sent]
  if known then return known end
  local plan = cjson.decode(match(sent, '^%d+$') and ARGV[sent + 0] or sent)
  for i, list in ipairs(plan.rules) do
    plan.rules[i] = rule_of(list)
    plan.rules[i].beside = plan.keys[list[2]]
  end
  local last = plan.common
  for _, candidate in ipairs(plan.candidates) do
    candidate.first, candidate.last = last + 1, last + candidate.limits
    last = candidate.last
  end
  plans[sent] = plan
  return plan
end

-- The number of a cost; false if it is none. Costs are few.
local function cost_of(digits)
  local cost = costs[digits]
  if cost == nil then
    cost = whole(digits) or false
    costs[digits] = cost
  end
  return cost
end

-- The limits of a decision, as nothing is known of them yet. `key` is where the keys that the plan names begin. `before` and `used` are
-- also kept as text: `shown` and `digits`.
-- Each in one go, and room for four from the start: a table that grows is made anew with each power of two.
local function limits_of(plan, own, key)
  local rules, limits, at = plan.rules, { nil, nil, nil, nil }, 1
  for i = 1, #rules do
    local rule = rules[i]
    local field, cost, id, next = match(own, '^(%S+) (%S+) ([^\n]*)\n()', at)
    limits[i] = {
      rule = rule, key = KEYS[key + rule.key], field = field, id = id, cost = cost_of(cost), amount = cost,
      state = NONE, before = 0, shown = '', digits = '', capacity = 0, retry = 0, granted = false, over = false, reset = 0, crossed = NONE,
    }
    at = next
  end
  return limits
end
