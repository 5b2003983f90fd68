-- What is remembered of a grant, and the usage events made from it. Amounts are digits: cjson prints 14 of them at most.
local RECORD_TTL_MS = '86400000'

-- One usage event. `about.event` is the JSON of everything known before the take, without its closing brace.
local function event_json(about, type, limits, outcome, decided_at, at, candidate, members)
  return about.event
    .. ',"id":"' .. about.id .. ':' .. type .. '","type":"' .. type .. '"'
    .. (candidate and ',"candidate":' .. candidate.json or '')
    .. (members or about.model)
    .. ',"limits":' .. limits .. ',"outcome":' .. outcome .. ',"count":1'
    .. ',"decided_at":' .. decided_at .. ',"at":' .. at .. '}'
end

local function new_record(about, views, candidate, request_key, fingerprint, now)
  local limits, settles = {}, false
  for i, view in ipairs(views) do
    local limit, state = view.limit, view.state
    settles = settles or limit.settles
    limits[i] = {
      id = limit.id, key = limit.key, field = limit.field, event = limit.event, unit = limit.unit,
      settles = limit.settles, on_exceed = limit.on_exceed, interval = limit.interval,
      capacity = text(limit.capacity), amount = text(limit.amount), period = text(limit.period),
      cost = text(limit.cost), retry = text(view.retry), before = text(state.used), used = text(view.after.used),
      since = text(state.since), refilled = text(state.refilled),
      reset_at = text(tonumber(now) + refill_time(view.after, limit, tonumber(now), view.after.used)),
    }
  end
  return {
    v = 1, state = settles and 'reserved' or 'consumed', settles = settles, about = about,
    candidate = candidate and { model = candidate.model, json = candidate.json } or nil,
    limits = limits, request_key = request_key, fingerprint = fingerprint, decided_at = now,
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
