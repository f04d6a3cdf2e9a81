// Testers see the next version of orders, as long as one of its pods is usable.
function route(req) {
  return req.headers['x-tester'] ? ['orders-next', 'orders'] : 'orders';
}
