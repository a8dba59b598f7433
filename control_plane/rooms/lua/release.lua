-- Ends a room's placement and leaves a tombstone, so that a report under way does not bring it back.
--
-- KEYS[1]  prefix of the placement keys
-- ARGV     room, epoch ('0' for whichever), time to keep the tombstone (ms)
-- Returns  { status, node, instance, address, epoch }: status "released", "none" or "mismatch".

local prefix, room, epoch = KEYS[1], ARGV[1], ARGV[2]
local lease = prefix .. 'lease:' .. room
local held = redis.call('HMGET', lease, 'node', 'instance', 'address', 'epoch', 'released')
if not held[1] or held[5] then return { 'none', '', '', '', held[4] or '0' } end
if epoch ~= '0' and epoch ~= held[4] then return { 'mismatch', held[1], held[2], held[3], held[4] } end
redis.call('HSET', lease, 'released', '1')
redis.call('PEXPIRE', lease, ARGV[3])
redis.call('ZREM', prefix .. 'leases', room)
redis.call('SREM', prefix .. 'rooms:' .. held[1], room)
return { 'released', held[1], held[2], held[3], held[4] }
