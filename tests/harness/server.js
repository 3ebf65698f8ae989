// An HTTP server as applications have it: Node's own, which frames and parses by itself.
'use strict';
const crypto = require('crypto');
const http = require('http');

const [host, port] = process.argv[2].split(':');

// Count and digest of what was sent, trailers included; told in chunks, with a trailer of its own.
function digest(request, response) {
  const hash = crypto.createHash('sha256');
  let count = 0;
  request.on('data', (data) => { hash.update(data); count += data.length; });
  request.on('end', () => {
    response.writeHead(200, request.method === 'HEAD' ? {} : { 'Trailer': 'X-Count' });
    response.write(JSON.stringify({
      digest: hash.digest('hex'), trailers: request.trailers, headers: request.headers,
    }));
    if (request.method !== 'HEAD') response.addTrailers({ 'X-Count': String(count) });
    response.end();
  });
}

// So many bytes, in pieces as the other side takes them.
function stream(response, count) {
  const piece = Buffer.alloc(1 << 16, 'z');
  response.writeHead(200, {});
  (function more() {
    while (count > 0) {
      const next = count < piece.length ? piece.subarray(0, count) : piece;
      count -= next.length;
      if (!response.write(next)) return response.once('drain', more);
    }
    response.end();
  })();
}

const server = http.createServer((request, response) => {
  const [path, argument] = request.url.split('?');
  switch (path) {
    case '/digest': return digest(request, response);
    case '/stream': return stream(response, Number(argument));
    case '/status':
      request.resume();
      response.writeHead(Number(argument));
      return response.end();
    default:
      request.resume();
      return request.on('end', () => response.end('hello from node\n'));
  }
});
server.keepAliveTimeout = 60000;
server.requestTimeout = 0;
server.listen(Number(port), host);
