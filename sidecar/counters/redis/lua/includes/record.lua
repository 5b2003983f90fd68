-- What is remembered of a grant. Amounts are digits: cjson prints 14 of them at most.

-- What one limit was charged, with all that moving it later needs.
local function new_charge(view, now)
  local limit, state = view.limit, view.state
  local given = {
    id = limit.id, kind = limit.kind, key = limit.key, field = limit.field, event = limit.event, unit = limit.unit,
    thresholds = limit.thresholds, crossed = view.crossed, settles = limit.settles, counts = limit.counts, on_exceed = limit.on_exceed, capacity = text(view.capacity), cost = text(limit.cost),
    before = text(state.used), used = text(view.after.used), since = text(view.over and 0 or state.since or state.start or 0),
    refilled = text(state.refilled or 0), retry = text(view.retry), reset_at = text(view.reset),
  }
  if limit.kind == 't' then
    given.amount, given.period, given.interval = text(limit.amount), text(limit.period), limit.interval
  end
  return given
end

-- Whether something is still to come: the real usage, or the end of the call.
local function is_open(views)
  for _, view in ipairs(views) do
    if view.limit.settles or view.limit.kind == 'c' then return true end
  end
  return false
end

-- `more` is {state, candidate, closed, request_key, run_key, ask, decided_at, held: JSON for another partition's event}.
local function new_record(about, views, more, now)
  local limits = {}
  for i, view in ipairs(views) do limits[i] = new_charge(view, now) end
  local candidate = more.candidate
  return {
    v = 1, state = more.state, about = about, hold = more.held and true or nil, held = more.held,
    candidate = candidate and { model = candidate.model, json = candidate.json } or nil,
    closed = #more.closed > 0 and '[' .. table.concat(more.closed, ',') .. ']' or nil,
    shared = more.ask.shared and more.ask.shared.record or nil,
    run = more.run_key ~= '' and more.run_key or nil,
    limits = limits, request_key = more.request_key, fingerprint = more.ask.fingerprint, decided_at = more.decided_at,
  }
end

-- The record under a key, nil if there is none. A newer version than this script knows raises a string.
local function stored_record(key)
  if not key then return nil end
  local stored = redis.pcall('GET', key)
  if not stored then return nil end
  if type(stored) == 'table' then error(stored.err, 0) end
  local record = cjson.decode(stored)
  if record.v ~= 1 then error('record ' .. key .. ' is of version ' .. tostring(record.v) .. '; this is version 1', 0) end
  return record
end

-- Raises a string if the set of open reservations cannot be written: to be asked before the first write.
local function check_open(key)
  local count = redis.pcall('ZCARD', key)
  if type(count) == 'table' then error(count.err, 0) end
end
