import t from 'tap'
import { connectRaw, startFront } from './front.ts'

const get = (n: number) => `GET /v1/kv/data/${n} HTTP/1.1\r\nhost: h\r\n\r\n`
const put = (n: number) => `PUT /v1/kv/data/${n} HTTP/1.1\r\nhost: h\r\ncontent-length: 7\r\n\r\n{"a":1}`

/** Answers each request a turn of the event loop later. */
async function slowFront (t: Parameters<typeof startFront>[0]) {
  return startFront(t, {
    async answer ({ path }) {
      await new Promise((resolve) => setImmediate(resolve))
      return { kind: 'body', json: JSON.stringify({ path }) }
    }
  })
}

const pathsIn = (text: string) => [...text.matchAll(/"path":"kv\/data\/(\d+)"/g)].map(([, n]) => Number(n))
const upTo = (count: number) => Array.from({ length: count }, (_, n) => n)

t.test('SEC-306 a thousand requests sent at once are all answered, in order', async (t) => {
  const front = await slowFront(t)
  const connection = await connectRaw(front)
  connection.send(upTo(1000).map(get).join(''))
  t.strictSame(pathsIn(await connection.until('"path"', 1000)), upTo(1000))
  connection.socket.destroy()
})

t.test('SEC-306 a connection that is held back goes on, also with bodies', async (t) => {
  const front = await slowFront(t)
  const connection = await connectRaw(front)
  for (let at = 0; at < 5000; at += 50) {
    connection.send(upTo(5000).slice(at, at + 50).map((n) => n % 3 === 0 ? put(n) : get(n)).join(''))
    await connection.until('"path"', Math.max(0, at - 400))
  }
  t.strictSame(pathsIn(await connection.until('"path"', 5000)), upTo(5000))
  connection.socket.destroy()
})

t.test('SEC-306 a thousand requests and then no request are answered in order, the last by a refusal', async (t) => {
  const front = await slowFront(t)
  const connection = await connectRaw(front)
  connection.send(`${upTo(1000).map(get).join('')}no request\r\n\r\n`)
  const text = await connection.closed()
  t.strictSame(pathsIn(text), upTo(1000))
  t.match(text, /HTTP\/1\.1 400 Bad Request\r\n[^]*$/)
})

t.test('FLT-075 a client that sends requests without end and reads none does not fill the memory', async (t) => {
  let waiting = 0
  const front = await startFront(t, {
    answer: () => {
      waiting++
      return new Promise(() => {})
    }
  })
  const connection = await connectRaw(front)
  connection.socket.on('error', () => {})
  const block = upTo(2000).map(get).join('')
  let accepted = 0
  while (accepted < 200 && connection.socket.write(block)) accepted++
  await connection.closed()
  t.equal(front.refusals.get('too_many_pipelined')?.count, 1)
  t.equal(waiting, 1, 'one was begun')
})
