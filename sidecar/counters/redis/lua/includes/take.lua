-- A take by its plan: what it comes to, and all that is written of it.

-- What the reply and the event say of each limit; both are put together of them at once, for each text in between costs as much.
local words, charges = { nil, nil, nil, nil }, { nil, nil, nil, nil }

-- One of a reply's limits. As a list of numbers and texts a reply took the server 2 µs more.
local function words_of(limit, tail)
  local crossed = limit.crossed
  return (limit.granted and '1 ' or '0 ') .. limit.shown .. ' ' .. limit.digits .. tail .. ' ' .. common_text(limit.capacity) .. ' '
    .. (limit.rule.kind == 'w' and common_text or text)(limit.reset) .. ' ' .. common_text(limit.retry) .. ' '
    .. (crossed[1] and concat(crossed, ',') or '-')
end

-- What reply and event are to say of a limit, when all is known of it. Of one that is not charged the event says nothing.
local function say(i, limit, granted)
  local tail, state = '', limit.state
  if granted then
    if not state.tail then state.tail = print_tail(limit.field, state) end
    tail = state.tail
    charges[i] = '{"id":' .. limit.id .. limit.rule.event .. ',"amount":' .. limit.amount .. ',"before":' .. limit.shown .. ',"after":'
      .. limit.digits .. ',"period_start":' .. (state.began or common_text(period_start(state))) .. '}'
  end
  words[i] = words_of(limit, tail)
end

local function reply(status, limits, candidate, receipt, closed)
  local said = status .. ' ' .. now_text .. ' ' .. candidate
  if #limits > 0 then said = said .. ' ' .. concat(words, ' ', 1, #limits) end
  if receipt == '' and #closed == 0 then return said end
  return { said, receipt, #closed > 0 and '[' .. concat(closed, ',') .. ']' or '' }
end

-- What was charged, as the event has it, with what was held at an account before it.
local function charges_json(limits, shared)
  local own = concat(charges, ',', 1, #limits)
  local others = shared and shared.limits
  return '[' .. (others and own ~= '' and others .. ',' or others or '') .. own .. ']'
end

-- A run that has made as many takes as it may: how its first candidate stands.
local function exhausted(plan, limits)
  local first = plan.candidates[1]
  local passed = { closed = {}, whys = {} }
  pass_over(passed, first or { json = '""' }, '"attempts"', MAX_AMOUNT, 'attempts')
  look_at_all(limits, 1, first and first.last or plan.common, now)
  return joined(plan, limits, first), false, 0, passed.closed, {}
end

-- What is owed is charged whatever there is room for.
local function owed(plan, limits)
  local first = plan.candidates[1]
  look_at_all(limits, 1, first and first.last or plan.common, now)
  return joined(plan, limits, first), true, first and 1 or 0, {}, {}
end

-- What a limit comes to when it is charged. What is owed is not charged to a window that began since.
local function charge_limit(limit, decided_at)
  local rule, state = limit.rule, limit.state
  if owe then limit.granted, limit.over = true, rule.kind == 'w' and whole(decided_at) < state.start end
  if limit.over then return end
  local before = limit.before
  local used = charged(before, limit.cost)
  state.used = used
  if used ~= before then limit.digits = text(used) end
  if rule.announces then limit.crossed = announce(state, rule.thresholds, limit.capacity) end
end

-- What the plan comes to.
local function outcome_of(plan, limits, ask, key, run)
  local chosen, granted, candidate, closed, probes
  if run and run.attempts >= ask.attempts then
    chosen, granted, candidate, closed, probes = exhausted(plan, limits)
  elseif owe then
    chosen, granted, candidate, closed, probes = owed(plan, limits)
  else
    chosen, granted, candidate, closed, probes = choose(plan, limits, key, now, run and run.failed or ask.failed, ask.whys)
    if ask.refused then granted, candidate = false, 0 end
  end
  for i = 1, #chosen do
    local limit = chosen[i]
    if granted then charge_limit(limit, ask.decided_at) end
    limit.reset = reset_at(limit.state, limit.rule, now)
    say(i, limit, granted)
  end
  return chosen, granted, candidate, closed, probes
end

-- Writes the record of a grant, and finds it again by its request id and by when it expires.
local function keep(state, receipt, record_key, request_key)
  redis.call('SET', record_key, receipt, 'PX', text(RECORD_TTL_MS))
  count_record(records, now)
  if request_key ~= '' then redis.call('SET', request_key, record_key, 'PX', text(RECORD_TTL_MS)) end
  if state == 'reserved' then redis.call('ZADD', open, text(now + reservation_ttl), record_key) end
end

-- The record of a grant that this decision repeats: of its request id, or of itself if it is owed.
local function granted_before(decision)
  local record = owe and stored_record(decision.record) or nil
  if record or decision.request == '' then return record end
  return stored_record(redis.call('GET', decision.request))
end

local function take(sent, own, ask, decision)
  local before = granted_before(decision)
  if before then
    if before.fingerprint ~= ask.fingerprint then return 'conflict' end
    return { 'replayed', cjson.encode(before) }
  end
  local plan = plan_of(sent)
  local run = decision.run ~= '' and not owe and read_run(decision.run) or nil
  local limits, granted, candidate, closed, probes = outcome_of(plan, limits_of(plan, own, decision.first), ask, decision.first, run)
  if not granted then
    if mode == 'take' and not ask.quiet then append_denial(decision, 'rate_limited') end
    return reply('refused', limits, 0, '', closed)
  end
  local chosen = plan.candidates[candidate]
  if mode == 'peek' then return reply('taken', limits, candidate, '', closed) end

  local decided_at = ask.decided_at or now_text
  local reserved = hold or is_open(limits)
  -- Of a call to a provider its caller will say how it went.
  local told = run ~= nil or (chosen ~= nil and #chosen.gates > 0)
  local kept = reserved or decision.request ~= '' or owe or ask.shared ~= nil or told
  if kept and live_records(records, now) >= max_records and not owe then return 'full ' .. now_text end
  if reserved then check_open(open) end
  local state = reserved and 'reserved' or 'consumed'
  local json = charges_json(limits, ask.shared)
  local receipt = kept and record_json(decision, limits, {
    state = state, candidate = chosen, closed = closed, request_key = decision.request, run_key = decision.run, ask = ask,
    decided_at = decided_at, held = hold and json or nil,
  })
  if not hold then
    local extra = owe and decision.model .. ',"degraded":true' or nil
    append(event_json(decision, state, json, GRANTED, decided_at, now_text, chosen, extra))
  end
  if kept then keep(state, receipt, decision.record, decision.request) end
  for _, probe in ipairs(probes) do close_gate(probe.key, now + probe.ms, probe.ms, now) end
  if run then
    run.attempts = run.attempts + 1
    write_run(decision.run, run)
  end
  for i = 1, #limits do
    local limit = limits[i]
    local rule = limit.rule
    -- A window that an estimate of nothing is corrected in must be in the period that it was made in.
    if (limit.cost > 0 or (rule.settles and rule.kind == 'w')) and not limit.over then
      write_counter(limit.key, limit.field, limit.state, forgotten_at(rule, limit.reset, now), limit.digits)
    end
  end
  return reply('taken', limits, candidate, hold and receipt or '', closed)
end
