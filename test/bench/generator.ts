import net from 'node:net'

/*
 * A small generator of load over plain sockets, each with one request in flight, for machines without
 * wrk and for requests that differ: `{client}` in the path becomes a word of the connection's own,
 * `{count}` in the body how many requests it has sent before. Its one argument is JSON, and so is what it prints.
 */
interface Order {
  readonly url: string
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly seconds: number
  readonly connections: number
}

const { url, method, headers, body, seconds, connections } = JSON.parse(process.argv[2] ?? '') as Order
const { host, hostname, port, pathname } = new URL(url)
const lines = Object.entries({ host, ...headers })
  .map(([name, value]) => `${name}: ${value}\r\n`)
const target = decodeURIComponent(pathname)
const timesMs: number[] = []
let errors = 0
const beganMs = performance.now()
const endMs = beganMs + seconds * 1000

await Promise.all(Array.from({ length: connections }, (_, n) => drive(`${process.pid}-${n}`)))
const tookMs = performance.now() - beganMs
timesMs.sort((a, b) => a - b)
process.stdout.write(JSON.stringify({
  requests: timesMs.length,
  perSecond: timesMs.length / tookMs * 1000,
  p50Ms: timesMs[Math.floor(timesMs.length * 0.5)],
  p99Ms: timesMs[Math.floor(timesMs.length * 0.99)],
  errors
}))

function drive (client: string): Promise<void> {
  const head = `${method} ${target.replace('{client}', client)} HTTP/1.1\r\n${lines.join('')}content-length: `
  const [before = '', after = ''] = body.split('{count}')
  return new Promise((resolve) => {
    const socket = net.connect(Number(port), hostname)
    let answer = ''
    let count = 0
    let sentMs = 0
    const send = () => {
      const text = body.includes('{count}') ? before + count++ + after : body
      sentMs = performance.now()
      socket.write(`${head}${text.length}\r\n\r\n${text}`)
    }
    socket.setNoDelay(true)
    socket.on('connect', send)
    socket.on('error', () => { errors++ })
    socket.on('close', () => { resolve() })
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString('latin1')
      const bodyAt = answer.indexOf('\r\n\r\n') + 4
      if (bodyAt === 3) return
      const length = /\r\ncontent-length: (\d+)\r\n/i.exec(answer)?.[1] ?? '0'
      if (answer.length < bodyAt + Number(length)) return
      timesMs.push(performance.now() - sentMs)
      if (!answer.startsWith('HTTP/1.1 2')) errors++
      answer = ''
      if (performance.now() < endMs) send()
      else socket.destroy()
    })
  })
}
