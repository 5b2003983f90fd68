-- What a plan comes to: each of its limits as it stands, and the first candidate that has room.

local function read_beside(key, limits, places)
  local fields = { nil, nil, nil, nil }
  for i = 1, #places do fields[i] = limits[places[i]].field end
  return read_hash(key, fields)
end

-- What one of a plan's limits stands at now, and whether its cost has room. What is read of its key is read for all of them.
local function look(limit, limits, now)
  local rule, cost, key = limit.rule, limit.cost, limit.key
  local problem = not cost and NOT_WHOLE or rule.problem
  if problem then error('limit ' .. cjson.decode('[' .. limit.id .. ']')[1] .. ': ' .. problem, 0) end
  local stored, digits = counter_of(hashes[key] or read_beside(key, limits, rule.beside), key, limit.field)
  local state = standing(stored, rule, now)
  if state ~= stored then digits = text(state.used) end
  local used, capacity = state.used, capacity_of(state, rule)
  -- As differences: sums may be beyond what is exact.
  local missing = cost - (capacity - used)
  local retry = missing > 0 and retry_after(state, rule, cost, missing, now) or 0
  limit.state = state
  limit.before = used
  limit.capacity = capacity
  limit.retry = retry
  limit.shown = digits
  limit.digits = digits
  local granted = retry == 0 or not rule.deny
  limit.granted = granted
  return granted
end

-- Whether there is room for all limits from one place to another.
local function look_at_all(limits, first, last, now)
  local granted = true
  for i = first, last do
    if not look(limits[i], limits, now) then granted = false end
  end
  return granted
end

-- The common limits and those of a candidate.
local function joined(plan, limits, candidate)
  if #limits == plan.common then return limits end
  local all = {}
  for i = 1, plan.common do all[i] = limits[i] end
  if candidate then
    for i = candidate.first, candidate.last do all[#all + 1] = limits[i] end
  end
  return all
end

-- Adds what a candidate is passed over for: the entry as JSON, and why, as `on` of the candidates after it names it.
local function pass_over(passed, candidate, gate, closed_to, why)
  passed.closed[#passed.closed + 1] = '{"gate":' .. gate .. ',"candidate":' .. candidate.json .. ',"until":' .. text(closed_to) .. '}'
  passed.whys[#passed.whys + 1] = why
end

-- The first reason for which one before it was passed over and for which it is no candidate.
local function barred(candidate, whys)
  for _, why in ipairs(candidate.on and whys or {}) do
    if not candidate.on[why] then return why end
  end
end

-- Adds the candidate's closed gates, and gives those that close behind whoever goes through. `key` is where the plan's begin.
local function pass_gates(passed, candidate, key, now)
  local probes = {}
  for _, gate in ipairs(candidate.gates) do
    local name = KEYS[key + gate.key]
    local closed_to, probe = closed_until(name, now)
    if closed_to then pass_over(passed, candidate, gate.json, closed_to, gate.why) end
    if probe then probes[#probes + 1] = { key = name, ms = probe } end
  end
  return probes
end

-- Adds the limits that are short: those that are shared, and those of the tenant only where nothing else is in the way.
local function pass_limits(passed, candidate, limits, before, now)
  for _, shared in ipairs({ true, false }) do
    if #passed.closed > before then return end
    for i = candidate.first, candidate.last do
      local limit = limits[i]
      if not limit.granted and limit.rule.shared == shared then
        local name = cjson.encode((shared and 'limit:' or 'budget:') .. cjson.decode('[' .. limit.id .. ']')[1])
        local back = limit.retry < 0 and MAX_AMOUNT or now + limit.retry
        pass_over(passed, candidate, name, back, shared and 'rate_limit' or 'budget')
      end
    end
  end
end

-- The first candidate that nothing stands in the way of and that has room, with every limit it draws on; or the first one's
-- limits, refused. `failed` is how models failed in this run, `whys` why candidates of others' parts were passed over.
-- Gives the limits, whether it is granted, which candidate (0: none), what was passed over for what, and the chosen one's gates
-- that close behind it.
local function choose(plan, limits, key, now, failed, whys)
  local granted = look_at_all(limits, 1, plan.common, now)
  if #plan.candidates == 0 then return limits, granted, 0, NONE, NONE end
  local passed = { closed = {}, whys = { unpack(whys or {}) } }
  for i, candidate in ipairs(plan.candidates) do
    look_at_all(limits, candidate.first, candidate.last, now)
    local before = #passed.closed
    local why = barred(candidate, passed.whys)
    if why then pass_over(passed, candidate, '"on:' .. why .. '"', MAX_AMOUNT, why) end
    local probes = pass_gates(passed, candidate, key, now)
    local failure = failed and failed[candidate.model]
    if failure then pass_over(passed, candidate, '"failed:' .. failure .. '"', MAX_AMOUNT, failure) end
    if granted then pass_limits(passed, candidate, limits, before, now) end
    if granted and #passed.closed == before then return joined(plan, limits, candidate), true, i, passed.closed, probes end
  end
  return joined(plan, limits, plan.candidates[1]), false, 0, passed.closed, {}
end
