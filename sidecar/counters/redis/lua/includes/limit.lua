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
    thresholds = list[8], announces = #list[8] > 0, counts = list[9] ~= '' and list[9] or nil, event = list[10],
  }
  if kind == 't' then rule.amount, rule.period, rule.interval = a, b, c end
  if kind == 'w' then rule.bounds, rule.usual, rule.rollover = a, b, c end
  rule.problem = problem_of(rule)
  return rule
end

-- A limit that nothing is known of yet. What is in use before and after is also kept as text: `shown` and `digits`.
local function limit_of(rule)
  return {
    rule = rule, key = '', field = '', id = '', cost = 0, amount = '', state = NONE, before = 0, shown = '', digits = '', capacity = 0,
    retry = 0, granted = false, over = false, reset = 0, crossed = NONE,
  }
end

-- `sent`: what it was decoded to. It is made of that once for all decisions of a call.
local function plan_of(sent)
  if sent.limits then return sent end
  sent.limits = {}
  for i, list in ipairs(sent.rules) do
    local rule = rule_of(list)
    rule.beside = sent.keys[list[2]]
    sent.limits[i] = limit_of(rule)
  end
  local last = sent.common
  for _, candidate in ipairs(sent.candidates) do
    candidate.first, candidate.last = last + 1, last + candidate.limits
    last = candidate.last
  end
  return sent
end

-- The limits of a decision, as nothing is known of them yet: those of its plan, which are the next decision's when this one has its reply.
-- Made anew for each they took 1 µs. `key` is where the keys that the plan names begin.
local function limits_of(plan, own, key)
  local limits, at = plan.limits, 1
  for i = 1, #limits do
    local limit = limits[i]
    -- By one match it took twice as long.
    local first = find(own, ' ', at, true)
    local second = find(own, ' ', first + 1, true)
    local last = find(own, '\n', second + 1, true)
    local amount = sub(own, first + 1, second - 1)
    limit.key = KEYS[key + limit.rule.key]
    limit.field = sub(own, at, first - 1)
    limit.id = sub(own, second + 1, last - 1)
    limit.amount = amount
    limit.cost = costs[amount] or cost_of(amount)
    limit.over = false
    limit.crossed = NONE
    at = last + 1
  end
  return limits
end
