import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { createFolder } from '../helpers/broker.ts'
import { freePort, until } from '../helpers/redis.ts'
import { createRig, tripwire } from './rig.ts'

const readme = readFileSync(path.join(import.meta.dirname, '../../README.md'), 'utf8')

t.test('the receiver of the README takes what is signed, once, and nothing else', async (t) => {
  const [, code = ''] = /```js\n(import \{ createHmac[^`]*(?:`[^`]+`[^`]*)*?)```/.exec(readme) ?? []
  t.match(code, /createServer/)
  const file = path.join(createFolder(t), 'receiver.mjs')
  writeFileSync(file, code)
  const port = await freePort()
  const rig = await createRig()
  // The receiver judges times by a clock of its own.
  rig.clock.nowMs = Date.now()
  const secret = await rig.write('ops', { type: 'webhook', url: `http://127.0.0.1:${port}/hook`, events: 'tripwire' })
  const child = spawn(process.execPath, [file], { env: { WEBHOOK_SECRET: secret, PORT: String(port) }, stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => { child.kill() })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => { output += chunk.toString() })
  const test = async () => {
    const outcome = await rig.notifiers.test(await rig.find('ops'))
    return outcome.kind === 'done' || outcome.kind === 'failed' ? outcome.status : null
  }
  await until('it listens', async () => await test() === 204)
  rig.publish(tripwire())
  await rig.tick()
  const [waiting] = await rig.pending('ops')
  await rig.sweep()
  await until('it came', () => output.includes('tripwire'))
  t.ok(output.includes(waiting?.id ?? '-'))
  await until('it is done', async () => (await rig.pending('ops')).length === 0)

  rig.clock.nowMs -= 400_000
  t.equal(await test(), 400, 'an old one')
  rig.clock.nowMs += 400_000
  await rig.call('write', 'latchkey/notifiers/:name/rotate-secret', { captured: { name: 'ops' } })
  t.equal(await test(), 204, 'the former secret signs along')
  rig.clock.nowMs += 25 * 3_600_000
  t.equal(await test(), 400, 'and ends')
  const before = output
  const answer = await fetch(`http://127.0.0.1:${port}/hook`, { method: 'POST', body: '{}', headers: { 'webhook-id': 'x', 'webhook-timestamp': String(Math.floor(Date.now() / 1000)), 'webhook-signature': 'v1,AAAA' } })
  t.equal(answer.status, 400)
  t.equal(output, before)
})
