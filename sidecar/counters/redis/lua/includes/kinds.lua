-- What a counter is by the kind of its limit: the same as counter.ts. Kinds are t (token bucket), w (calendar window) and
-- c (concurrency); a counter's field begins with its kind.
local FLIGHT_RETRY_MS = 1000
local ROLLOVER_TTL_MS = 400 * 86400000

local function standing(stored, limit, now)
  if limit.kind == 't' then return refill(stored, limit, now) end
  if limit.kind == 'w' then return enter(stored, limit, now) end
  return stored and stored.used > 0 and stored or { used = 0, announced = 0 }
end

local function capacity_of(state, limit)
  local capacity = limit.capacity
  if limit.kind ~= 'w' or state.carried == 0 then return capacity end
  return min(MAX_AMOUNT, capacity + state.carried)
end

local function period_start(state)
  return state.start or state.at or 0
end

local function reset_at(state, limit, now)
  if limit.kind == 't' then return now + refill_time(state, limit, now, state.used) end
  if limit.kind == 'w' then return period_end(state, limit, now) end
  return now + (state.used > 0 and FLIGHT_RETRY_MS or 0)
end

-- Milliseconds until a cost has room that more is in use than leaves room for it, by what is `missing`; -1 if it never has.
local function retry_after(state, limit, cost, missing, now)
  if limit.kind == 'w' then
    if cost > limit.capacity + limit.rollover then return -1 end
    return period_end(state, limit, now) - now
  end
  if cost > limit.capacity then return -1 end
  return limit.kind == 'c' and FLIGHT_RETRY_MS or refill_time(state, limit, now, missing)
end

-- From when the counter means nothing any more and may be forgotten; `reset` is its `reset_at`.
local function forgotten_at(limit, reset, now)
  if limit.kind == 'c' then return now + RECORD_TTL_MS end
  if limit.kind == 'w' and limit.rollover > 0 then return now + ROLLOVER_TTL_MS end
  return reset
end

-- The thresholds that a counter crosses and that were not announced in this period; they are from now on.
local function announce(state, thresholds, capacity)
  local crossed, highest = {}, state.announced
  for _, percent in ipairs(thresholds) do
    -- By hundreds: a product with the whole capacity may be beyond what is exact.
    local amount = percent * floor(capacity / 100) + ceil(percent * (capacity % 100) / 100)
    if percent > state.announced and state.used > 0 and state.used >= amount then
      crossed[#crossed + 1] = text(percent)
      highest = max(highest, percent)
    end
  end
  if highest > state.announced then state.announced, state.tail = highest, nil end
  return crossed
end

-- Moves a charge by a signed amount: the counter before and after, and from when it may be forgotten (0: as before).
-- `given` is {amount, before, since, refilled}, as it was charged.
local function moved(stored, limit, given, change, now)
  if limit.kind == 't' then
    local before = refill(stored, limit, now)
    local after = change < 0 and give_back(before, given, -change, now) or charge(before, change)
    return before, after, now + refill_time(after, limit, now, after.used)
  end
  local before = stored or { used = 0, announced = 0 }
  if limit.kind == 'w' and before.start ~= given.since then return before, before, 0 end
  local after = charge(before, change)
  after.used = max(0, after.used)
  return before, after, 0
end
