-- A calendar window's arithmetic: the same as calendar-window.ts, which says what the fields mean.
-- A state is {used, start, carried}. A limit has bounds (the starts of the period before the caller's, of its own, and of
-- the two after it), usual (milliseconds of a usual period) and rollover (what is carried over at most).
local KEPT_MS = 3600000
local STALE = 'stale_windows'

-- Which of the caller's periods holds `now`; raises STALE if none does, for Lua knows no calendar. The time of a call is one, so it
-- is looked for once for each rule, as its `current`.
local function period_at(limit, now)
  local bounds = limit.bounds
  for i = 1, 3 do
    if bounds[i] <= now and now < bounds[i + 1] then
      limit.current = i
      return i
    end
  end
  error(STALE, 0)
end

local function carried_over(state, limit, start)
  local left = max(0, limit.capacity - (state.used - state.carried))
  local idle = max(1, floor((start - state.start) / limit.usual + 0.5)) - 1
  return min(limit.rollover, left + min(idle * limit.capacity, MAX_AMOUNT))
end

local function enter(state, limit, now)
  local start = limit.bounds[limit.current or period_at(limit, now)]
  if not state then return { used = 0, start = start, carried = 0, announced = 0 } end
  if state.start == start then return state end
  if state.start > start then
    if state.start - now < KEPT_MS then return state end
    return { used = state.used, start = start, carried = state.carried, announced = state.announced }
  end
  return { used = 0, start = start, carried = carried_over(state, limit, start), announced = 0 }
end

-- A period that a clock set back has not reached again is kept, and ends when it would have ended.
local function period_end(state, limit, now)
  local i = limit.current or period_at(limit, now)
  if state.start >= limit.bounds[i + 1] then i = min(i + 1, 3) end
  return limit.bounds[i + 1]
end
