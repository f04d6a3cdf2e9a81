-- The rule of scripts/default.js for HAProxy's Lua: use_backend asks it which backend is meant.
core.register_fetches("route", function(txn)
    local path = txn.sf:path()
    if path:sub(1, 5) == "/one/" then
        return "one"
    end
    return "two"
end)
