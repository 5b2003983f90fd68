-- What a plan comes to: each of its limits as it stands, and the first candidate that has room.
local NONE = {}

local function check(limit)
  if not (is_whole(limit.capacity) and is_whole(limit.cost)) then
    error('limit ' .. limit.id .. ': capacity and cost are not both whole numbers', 0)
  end
  if limit.kind == 't' and not (is_whole(limit.amount) and is_whole(limit.period) and limit.amount > 0 and limit.period > 0) then
    error('limit ' .. limit.id .. ': amount and period are not both whole numbers above 0', 0)
  end
  return limit
end

-- What one limit, as it is sent, would come to: its state now, and whether its cost has room. `key_at` gives the key of an index;
-- `fields` what of each key the plan names.
local function look(list, key_at, now, fields)
  local limit, key = check(limit_of(list)), key_at(list[3])
  limit.key = key
  local state = standing(read_counter(key, limit.field, fields and fields[list[3]]), limit, now)
  local retry = retry_after(state, limit, now)
  return {
    limit = limit, state = state, capacity = capacity_of(state, limit), retry = retry, granted = retry == 0 or not limit.deny,
    -- What it comes to is known when all were looked at.
    over = false, after = state, reset = 0, crossed = NONE,
  }
end

local function look_at_all(limits, key_at, now, fields)
  local views, granted = {}, true
  for i, limit in ipairs(limits) do
    local view = look(limit, key_at, now, fields)
    views[i] = view
    granted = granted and view.granted
  end
  return views, granted
end

local function joined(a, b)
  local all = {}
  for _, view in ipairs(a) do all[#all + 1] = view end
  for _, view in ipairs(b) do all[#all + 1] = view end
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

-- Adds the candidate's closed gates, and gives those that close behind whoever goes through.
local function pass_gates(passed, candidate, key_at, now)
  local probes = {}
  for _, gate in ipairs(candidate.gates) do
    local key = key_at(gate.key)
    local closed_to, probe = closed_until(key, now)
    if closed_to then pass_over(passed, candidate, gate.json, closed_to, gate.why) end
    if probe then probes[#probes + 1] = { key = key, ms = probe } end
  end
  return probes
end

-- Adds the limits that are short: those that are shared, and those of the tenant only where nothing else is in the way.
local function pass_limits(passed, candidate, views, before, now)
  for _, shared in ipairs({ true, false }) do
    if #passed.closed > before then return end
    for _, view in ipairs(views) do
      local limit = view.limit
      if not view.granted and limit.shared == shared then
        local name = cjson.encode((shared and 'limit:' or 'budget:') .. limit.id)
        local back = view.retry < 0 and MAX_AMOUNT or now + view.retry
        pass_over(passed, candidate, name, back, shared and 'rate_limit' or 'budget')
      end
    end
  end
end

-- The first candidate that nothing stands in the way of and that has room, with every limit it draws on; or the first one's
-- limits, refused. `tried` is {failed: how models failed in this run, whys: why candidates of others' parts were passed over}.
-- Gives the views, whether it is granted, which candidate (0: none), what was passed over for what, and the chosen one's gates
-- that close behind it.
local function choose(plan, key_at, now, tried)
  local common, granted = look_at_all(plan.limits, key_at, now, plan.fields)
  if #plan.candidates == 0 then return common, granted, 0, NONE, NONE end
  local first
  local passed = { closed = {}, whys = { unpack(tried.whys or {}) } }
  for i, candidate in ipairs(plan.candidates) do
    local own = look_at_all(candidate.limits, key_at, now, plan.fields)
    local before = #passed.closed
    local why = barred(candidate, passed.whys)
    if why then pass_over(passed, candidate, '"on:' .. why .. '"', MAX_AMOUNT, why) end
    local probes = pass_gates(passed, candidate, key_at, now)
    local failure = tried.failed and tried.failed[candidate.model]
    if failure then pass_over(passed, candidate, '"failed:' .. failure .. '"', MAX_AMOUNT, failure) end
    if granted then pass_limits(passed, candidate, own, before, now) end
    if granted and #passed.closed == before then return joined(common, own), true, i, passed.closed, probes end
    first = first or own
  end
  return joined(common, first), false, 0, passed.closed, {}
end
