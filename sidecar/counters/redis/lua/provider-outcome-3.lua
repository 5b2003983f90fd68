#!lua
-- Counts what came of a call to a model of a provider account: a rate limit cools the model down, failures in a row open its
-- circuit, a success ends both. What was decided before the last change says nothing of what has been since.
--
-- KEYS[1]  the health of the account's models
-- KEYS[2]  the gate of the model's cooldown
-- KEYS[3]  the gate of its circuit
-- ARGV[1]  the model
-- ARGV[2]  `succeeded`, `rate_limit`, `quota`, `failed` (a time-out, or unavailable), `cleared` (by an operator)
-- ARGV[3]  when the call was decided, in epoch milliseconds of the store's clock
-- ARGV[4]  for how long not to ask, in milliseconds, as the provider says; empty: it does not say
-- ARGV[5]  where in the jitter the back-off is, from 0 to 1000
-- ARGV[6]  JSON {steps: [ms], jitter_percent, failures, within, open, most_open, probe}: how to back off, and when the circuit opens;
--          times in milliseconds
--
-- Returns {time, the model's health as JSON}.
--
-- @include whole
-- @include now
-- @include gates
-- @include provider-health

local now = store_time()
local model, result, decided_at, told, place = ARGV[1], ARGV[2], whole(ARGV[3]), whole(ARGV[4]), whole(ARGV[5])
local rules = cjson.decode(ARGV[6])
if not decided_at or not place or (ARGV[4] ~= '' and not told) then error('an instant or a time is not a whole number', 0) end
local health = read_health(KEYS[1], model)

local function end_cooldown()
  health.limited, health.limited_at, health.limited_until, health.limited_by = nil, nil, nil, nil
  redis.call('DEL', KEYS[2])
end

local function close_circuit()
  health.failures, health.failed_at, health.opens, health.opened_at, health.open_until = nil, nil, nil, nil, nil
  redis.call('DEL', KEYS[3])
end

local function succeeded()
  if health.limited and decided_at > health.limited_at then end_cooldown() end
  if not health.opens or decided_at > health.opened_at then close_circuit() end
end

-- The n-th time in a row, within the jitter to either side.
local function back_off(n)
  local step = rules.steps[math.min(n, #rules.steps)]
  return math.floor(step + step * rules.jitter_percent / 100 * (place - 500) / 500)
end

local function cool_down(by)
  local waited = health.limited and decided_at <= health.limited_at
  -- It was on its way when the cooldown began: no other refusal, but what the provider says of it may be longer.
  if waited and not told then return end
  if not waited then health.limited, health.limited_at = (health.limited or 0) + 1, now end
  local cooled = now + (told or back_off(health.limited))
  if waited and cooled <= health.limited_until then return end
  health.limited_until = cooled
  health.limited_by = by or (told and 'retry_after' or 'backoff')
  close_gate(KEYS[2], cooled, nil, now)
end

local function open_circuit()
  health.opens, health.opened_at, health.failures, health.failed_at = (health.opens or 0) + 1, now, nil, nil
  health.open_until = now + math.min(rules.most_open, rules.open * 2 ^ (health.opens - 1))
  close_gate(KEYS[3], health.open_until, rules.probe, now)
end

local function failed()
  if health.opens then
    if decided_at > health.opened_at then open_circuit() end
    return
  end
  local in_a_row = health.failed_at and now - health.failed_at <= rules.within and health.failures or 0
  health.failures, health.failed_at = in_a_row + 1, now
  if health.failures >= rules.failures then open_circuit() end
end

if result == 'succeeded' then
  succeeded()
elseif result == 'rate_limit' then
  cool_down()
elseif result == 'quota' then
  cool_down('quota')
elseif result == 'failed' then
  failed()
elseif result == 'cleared' then
  end_cooldown()
  close_circuit()
else
  error('there is no outcome ' .. result, 0)
end
write_health(KEYS[1], model, health)
return { text(now), cjson.encode(health) }
