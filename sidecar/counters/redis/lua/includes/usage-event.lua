-- One usage event. `about.event` is the JSON of everything known before the take, without its closing brace. Behind `count` come the
-- pieces of the JSON of its limits and the closing brace: put together at once, for each text in between costs as much as the whole.
local function event_of_pieces(about, type, outcome, decided_at, at, candidate, members, count, ...)
  return concat({
    about.event, ',"id":"', about.id, ':', type, '","type":"', type, '"', candidate and ',"candidate":' .. candidate.json or '',
    members or about.model, ',"outcome":', outcome, ',"count":', count or '1', ',"decided_at":', decided_at, ',"at":', at,
    ',"limits":', ...
  })
end

local function event_json(about, type, limits, outcome, decided_at, at, candidate, members, count)
  return event_of_pieces(about, type, outcome, decided_at, at, candidate, members, count, limits, '}')
end
