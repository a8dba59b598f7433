-- Reads a meeting's live state and the id of the last event that it holds, at one moment.
--
-- KEYS[1]  prefix of the meeting's keys
-- ARGV     participant whose slots are wanted ('' for none), operation whose result is wanted ('' for none)
-- Returns  { meta (flat), participants (flat), slots (flat), result of the operation (one element, or none) }

local prefix = KEYS[1]
local session = ''
if ARGV[1] ~= '' then
  local document = redis.call('HGET', prefix .. 'participants', ARGV[1])
  if document then session = cjson.decode(document).session_id end
end
local done = ARGV[2] ~= '' and redis.call('GET', prefix .. 'op:' .. ARGV[2])
return {
  redis.call('HGETALL', prefix .. 'meta'),
  redis.call('HGETALL', prefix .. 'participants'),
  session ~= '' and redis.call('HGETALL', prefix .. 'slots:' .. session) or {},
  done and { done } or {},
}
