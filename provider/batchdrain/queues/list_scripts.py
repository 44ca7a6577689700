"""What is done to list queues in one step each, in Redis' own language.

Each script runs as a whole or not at all, and also when Redis is out of memory: then messages are
what fills it. All but TAKE leave things as they are when another drain holds the queue.
"""

from __future__ import annotations

TAKEN = -1
"""Answer of a script when the queue is held by another drain, or by none."""

MOVED_ON = -2
"""Answer of GIVE_BACK when the counter is not what the caller has seen."""

TAKE = """#!lua flags=allow-oom
-- KEYS: owner. ARGV: token.
redis.call('SET', KEYS[1], ARGV[1])
"""
"""Makes a drain the one that may use the other scripts."""

CLAIM = """#!lua flags=allow-oom
-- KEYS: list, counter, owner, the position's in-flight list, the next one.
-- ARGV: token, number and place of the position, most elements, most bytes, the oldest end.
if redis.call('GET', KEYS[3]) ~= ARGV[1] then return {'taken'} end
local number, place = tonumber(ARGV[2]), tonumber(ARGV[3])
local most, room = tonumber(ARGV[4]), tonumber(ARGV[5])
local counter = redis.call('GET', KEYS[2])
local newest = tonumber(counter or '0')
local elements, largest = {}, 1
local function read(key, from, left)
    local step = 8
    while #elements < most and room > 0 do
        local wanted = math.min(step, most - #elements)
        local upto = from + wanted - 1
        local first, last = left and from or -upto - 1, left and upto or -from - 1
        local there = redis.call('LRANGE', key, first, last)
        for i = 1, #there do
            if room <= 0 then return end
            local element = there[left and i or #there + 1 - i]
            elements[#elements + 1] = element
            room = room - #element
            largest = math.max(largest, #element)
        end
        if #there < wanted then return end
        from = upto + 1
        step = math.max(1, math.min(8 * step, math.floor(room / largest)))
    end
end
local function in_flight(key, from)
    read(key, from, true)
    return #elements > 0
end
if newest < number then
    if not counter and redis.call('LLEN', KEYS[1]) == 0 then
        return {'claimed', number + 1, 0, elements}
    end
    return {'apart'}
end
if in_flight(KEYS[4], place) then return {'in flight', number, place, elements} end
if in_flight(KEYS[5], 0) then
    if newest == number then return {'apart'} end
    return {'in flight', number + 1, 0, elements}
end
if newest > number then return {'apart'} end
local left = ARGV[6] == 'LEFT'
read(KEYS[1], 0, left)
if #elements > 0 then
    for from = 1, #elements, 1000 do
        local upto = math.min(from + 999, #elements)
        redis.call('RPUSH', KEYS[5], unpack(elements, from, upto))
    end
    redis.call('LTRIM', KEYS[1], left and #elements or 0, left and -1 or -#elements - 1)
    redis.call('INCR', KEYS[2])
end
return {'claimed', number + 1, 0, elements}
"""
"""Returns what is in flight behind a position, or else moves new elements into flight.

Answers `taken`; `apart` when counter and in-flight lists don't follow the position; or `in flight`
or `claimed` with the list's number, how many elements come before, and the elements. They are read
in growing steps: whatever is read is copied, and of large elements only a few are wanted.
"""

SETTLE = """#!lua flags=allow-oom
-- KEYS: owner, settled, in-flight lists with ascending numbers.
-- ARGV: token, number of the first of them, number and place of the position, nothing older.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
local first, last, place = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local removed, number = 0, first
for i = 3, #KEYS do
    local held = redis.call('LLEN', KEYS[i])
    if number > last or number == last and held > place then break end
    redis.call('UNLINK', KEYS[i])
    removed = removed + held
    number = number + 1
end
local settled = tonumber(redis.call('GET', KEYS[2]) or '0')
if (settled >= first - 1 or ARGV[5] == '1') and settled < number - 1 then
    redis.call('SET', KEYS[2], string.format('%.0f', number - 1))
end
return removed
"""
"""Removes in-flight lists all of whose elements are at or below a position; returns how many
elements they held, or TAKEN.

`nothing older` is 1 where the caller knows that no in-flight list comes before the first of these.
"""

GIVE_BACK = """#!lua flags=allow-oom
-- KEYS: list, counter, owner, settled, the position's in-flight list, those behind it, ascending.
-- ARGV: token, the counter as seen, number and place of the position, the oldest end, accept.
if redis.call('GET', KEYS[3]) ~= ARGV[1] then return -1 end
local counter = redis.call('GET', KEYS[2])
if (counter or '') ~= ARGV[2] then return -2 end
local number, place, accept = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[6] == '1'
if not accept and tonumber(counter or '0') < number then return 0 end
local settled = tonumber(redis.call('GET', KEYS[4]) or '0')
local moved = 0
local function move(key, kept)
    for _ = kept + 1, redis.call('LLEN', key) do
        redis.call('LMOVE', key, KEYS[1], 'RIGHT', ARGV[5])
        moved = moved + 1
    end
end
for i = #KEYS, 6, -1 do move(KEYS[i], 0) end
local later = moved
move(KEYS[5], place)
if accept or moved > later then
    redis.call('UNLINK', KEYS[5])
    if settled == number - 1 then redis.call('SET', KEYS[4], ARGV[3]) end
end
if accept or moved > 0 then redis.call('SET', KEYS[2], ARGV[3]) end
if accept and settled > number then redis.call('SET', KEYS[4], ARGV[3]) end
return moved
"""
"""Puts what is in flight behind a position back to the oldest end of the list, in its order.

The counter goes back to the position's, too; with `accept` in any case. Returns how many elements
were moved, or TAKEN or MOVED_ON.
"""
