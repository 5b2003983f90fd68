-- The token bucket's arithmetic: the same as token-bucket.ts, which says what the fields mean.
-- A state is {used, at, rest, since, refilled}; a rule has amount, period (ms) and interval (true or false).
local MAX_WAIT_MS = 315360000000

local function full_bucket(now)
  return { used = 0, at = now, rest = 0, since = now, refilled = 0, announced = 0 }
end

local function paid(state, amount, now, at, rest)
  if amount >= state.used then return full_bucket(now) end
  local used, refilled = state.used - amount, state.refilled + amount
  if refilled <= MAX_AMOUNT then
    return { used = used, at = at, rest = rest, since = state.since, refilled = refilled, announced = state.announced }
  end
  -- Beyond what is exact it is counted anew, and charges from before then give nothing back.
  local since = max(now, state.since + 1)
  return { used = used, at = at, rest = rest, since = since, refilled = 0, announced = state.announced }
end

local function refill(state, rule, now)
  if not state then return full_bucket(now) end
  local elapsed = now - state.at
  if elapsed < 0 then elapsed = 0 end
  if rule.interval and elapsed < rule.period then return state end
  local whole_periods = floor(elapsed / rule.period)
  local whole_amount = min(whole_periods * rule.amount, MAX_AMOUNT)
  if rule.interval then return paid(state, whole_amount, now, state.at + whole_periods * rule.period, 0) end
  if whole_periods > 0 and whole_amount >= state.used then return full_bucket(now) end
  local amount, remainder = mul_div(elapsed % rule.period, rule.amount, rule.period)
  -- Under another rule before, the rest was in other units: it is never worth more than a token.
  local carried = remainder + min(state.rest, rule.period - 1)
  amount = whole_amount + amount + floor(carried / rule.period)
  return paid(state, amount, now, max(state.at, now), carried % rule.period)
end

local function refill_time(state, rule, now, amount)
  if amount <= 0 then return 0 end
  local ahead = state.at - now
  if rule.interval then
    local wait = ahead + (amount <= rule.amount and 1 or ceil(amount / rule.amount)) * rule.period
    return wait < 0 and 0 or wait > MAX_WAIT_MS and MAX_WAIT_MS or wait
  end
  if ahead < 0 then ahead = 0 end
  if ((amount - 1) / rule.amount) * rule.period > 2 * MAX_WAIT_MS then return MAX_WAIT_MS end
  local quotient, remainder = mul_div(amount, rule.period, rule.amount)
  local exact = quotient + ceil((remainder - state.rest) / rule.amount)
  return min(MAX_WAIT_MS, ahead + max(1, exact))
end

-- What is in use of a counter of any kind when an amount is charged.
local function charged(used, amount)
  local sum = used + amount
  return sum < MAX_AMOUNT and sum or MAX_AMOUNT
end

local function charge(state, amount)
  return {
    used = charged(state.used, amount), at = state.at, rest = state.rest, since = state.since,
    refilled = state.refilled, announced = state.announced, start = state.start, carried = state.carried,
  }
end

local function give_back(state, given, amount, now)
  if state.since ~= given.since then return state end
  local paid_off = max(0, state.refilled - given.refilled - given.before)
  local open = max(0, given.amount - paid_off)
  local used = state.used - min(amount, open)
  if used <= 0 then return full_bucket(now) end
  local after = charge(state, 0)
  after.used = used
  return after
end
