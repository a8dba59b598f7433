-- Forgets a node that has been out of service for long, unless it has been heard of since the caller looked.
--
-- KEYS[1]  prefix of the placement keys
-- ARGV     node, state and time of its last word as the caller read them
-- Returns  1 when it was forgotten, else 0.

local prefix, name = KEYS[1], ARGV[1]
local node = prefix .. 'node:' .. name
local is = redis.call('HMGET', node, 'state', 'seen')
if (is[1] or '') ~= ARGV[2] or (is[2] or '') ~= ARGV[3] then return 0 end
-- Rooms that were never placed anew are void with it.
for _, room in ipairs(redis.call('SMEMBERS', prefix .. 'rooms:' .. name)) do
  if redis.call('HGET', prefix .. 'lease:' .. room, 'node') == name then redis.call('ZADD', prefix .. 'leases', 'XX', '-1', room) end
end
redis.call('DEL', node, prefix .. 'rooms:' .. name, prefix .. 'pending:' .. name, prefix .. 'position:' .. name)
redis.call('SREM', prefix .. 'nodes', name)
return 1
