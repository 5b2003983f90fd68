-- What a plan comes to: each of its limits as it stands, and the first candidate that has room.

local function check(limit)
  for _, field in ipairs({ 'capacity', 'cost' }) do
    if not is_whole(limit[field]) then error('limit ' .. limit.id .. ': ' .. field .. ' is not a whole number', 0) end
  end
  for _, field in ipairs(limit.kind == 't' and { 'amount', 'period' } or {}) do
    if not is_whole(limit[field]) or limit[field] < 1 then
      error('limit ' .. limit.id .. ': ' .. field .. ' is not a whole number above 0', 0)
    end
  end
  return limit
end

-- What one limit would come to: its state now, and whether its cost has room. `key_at` gives the key of an index.
local function look(limit, key_at, now)
  limit.key = key_at(limit.key)
  local state = standing(read_counter(limit.key, limit.field), check(limit), now)
  local retry = retry_after(state, limit, now)
  return {
    limit = limit, state = state, capacity = capacity_of(state, limit), retry = retry,
    granted = retry == 0 or not limit.deny,
  }
end

local function look_at_all(limits, key_at, now)
  local views, granted = {}, true
  for i, limit in ipairs(limits) do
    views[i] = look(limit, key_at, now)
    granted = granted and views[i].granted
  end
  return views, granted
end

local function joined(a, b)
  local all = {}
  for _, view in ipairs(a) do all[#all + 1] = view end
  for _, view in ipairs(b) do all[#all + 1] = view end
  return all
end

-- Adds the candidate's closed gates, as JSON, and says whether there is none.
local function are_open(gates, key_at, now, closed)
  local before = #closed
  for _, gate in ipairs(gates) do
    local closed_to = closed_until(key_at(gate.key), now)
    if closed_to then closed[#closed + 1] = gate.json .. ',"until":' .. text(closed_to) .. '}' end
  end
  return #closed == before
end

-- The first candidate whose gates are open and that has room, with every limit it draws on; or the first one's limits,
-- refused. Gives the views, whether it is granted, which candidate (0: none), and the closed gates.
local function choose(plan, key_at, now)
  local common, granted = look_at_all(plan.limits, key_at, now)
  if #plan.candidates == 0 then return common, granted, 0, {} end
  local first
  local closed = {}
  for i, candidate in ipairs(plan.candidates) do
    local own, own_granted = look_at_all(candidate.limits, key_at, now)
    local open = are_open(candidate.gates, key_at, now, closed)
    if granted and open and own_granted then return joined(common, own), true, i, closed end
    first = first or own
  end
  return joined(common, first), false, 0, closed
end
