-- A limit as it is sent: a list, for names that are sent with each were half of what was read and decoded.
--   id, field (it begins with the kind: t, w or c), key, unit, capacity, cost, flags, thresholds, counts ('': its unit), then
--   t  amount, period    w  bounds, usual, rollover
-- Flags: d deny, s settles, b billed, h shared, i interval.
local KINDS = { t = 'token_bucket', w = 'window', c = 'concurrency' }

local function has(flags, flag)
  return string.find(flags, flag, 1, true) ~= nil
end

local function limit_of(list)
  local id, field, unit, flags = list[1], list[2], list[4], list[7]
  local kind = string.sub(field, 1, 1)
  local limit = {
    id = id, field = field, kind = kind, key = list[3], unit = unit, capacity = list[5], cost = list[6], thresholds = list[8],
    counts = list[9] ~= '' and list[9] or nil, deny = has(flags, 'd'), settles = has(flags, 's'), shared = has(flags, 'h'),
    event = '{"id":' .. cjson.encode(id) .. ',"kind":"' .. KINDS[kind] .. '","unit":"' .. unit .. '"'
      .. (has(flags, 'b') and ',"billed":true' or ''),
  }
  if kind == 't' then
    limit.amount, limit.period, limit.interval = list[10], list[11], has(flags, 'i')
  elseif kind == 'w' then
    limit.bounds, limit.usual, limit.rollover = list[10], list[11], list[12]
  end
  return limit
end
