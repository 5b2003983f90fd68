-- A limit as it is sent: a list, for names that are sent with each were half of what was read and decoded.
--   id, field (it begins with the kind: t, w or c), key, unit, capacity, cost, deny, settles, shared, thresholds,
--   counts ('': its unit), event (how it begins in a usage event, as JSON without the closing brace), then
--   t  amount, period, interval    w  bounds, usual, rollover

-- In one go: a table that grows is made anew with each power of two.
local function limit_of(list)
  local field, counts, a, b, c = list[2], list[11], list[13], list[14], list[15]
  local kind = string.sub(field, 1, 1)
  if counts == '' then counts = nil end
  if kind == 't' then
    return {
      id = list[1], field = field, kind = kind, key = '', unit = list[4], capacity = list[5], cost = list[6], deny = list[7],
      settles = list[8], shared = list[9], thresholds = list[10], counts = counts, event = list[12],
      amount = a, period = b, interval = c,
    }
  end
  return {
    id = list[1], field = field, kind = kind, key = '', unit = list[4], capacity = list[5], cost = list[6], deny = list[7],
    settles = list[8], shared = list[9], thresholds = list[10], counts = counts, event = list[12],
    bounds = a, usual = b, rollover = c,
  }
end
