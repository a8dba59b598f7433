-- Reads a meeting's live state and the id of the last event that it holds, at one moment.
--
-- KEYS[1]  prefix of the meeting's keys
-- ARGV     participant whose slots and encodings are wanted ('' for none), operation whose result is wanted ('' for none),
--          'brief' to leave out all other participants
-- Returns  { meta (flat), participants (a line each: one long text is read much faster than many short ones), slots (flat),
--            encodings (flat), result of the operation (one element, or none) }

local prefix = KEYS[1]
local session = ''
local own = ''
if ARGV[1] ~= '' then
  local document = redis.call('HGET', prefix .. 'participants', ARGV[1])
  if document then
    local good, value = pcall(cjson.decode, document)
    session = good and type(value) == 'table' and value.session_id or ''
    own = document
  end
end
local done = ARGV[2] ~= '' and redis.call('GET', prefix .. 'op:' .. ARGV[2])
return {
  redis.call('HGETALL', prefix .. 'meta'),
  ARGV[3] == 'brief' and own or table.concat(redis.call('HVALS', prefix .. 'participants'), '\n'),
  session ~= '' and redis.call('HGETALL', prefix .. 'slots:' .. session) or {},
  session ~= '' and redis.call('HGETALL', prefix .. 'encodings:' .. session) or {},
  done and { done } or {},
}
