import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { readInvocation } from '../../src/cli/args.ts'
import { commands } from '../../src/cli/commands.ts'
import { openBroker } from '../../src/cli/session.ts'
import { openSinks } from '../../src/cli/sinks.ts'
import { openUpkeep } from '../../src/cli/upkeep.ts'
import { until } from '../helpers/redis.ts'
import { manualParts, startBench } from './rig.ts'

t.setTimeout(120_000)
const minute = 60_000

t.test('SEC-222 a sidecar follows a mount whose name rotates without grace: no refusal, no alarm, no name in what it says', async (t) => {
  const bench = await startBench(t)
  const { broker, home } = bench
  const { client_token: token } = await broker.tokenFor('path "sys/latchkey/resolve/aws" { capabilities = ["read"] }\npath "aws/creds/ec2-only" { capabilities = ["read"] }\npath "sys/leases/revoke" { capabilities = ["update"] }')
  writeFileSync(path.join(home, 'token'), token, { mode: 0o600 })
  await broker.must('POST', 'sys/latchkey/rotation/aws', { body: { stable_path: 'never', grace_period: '0', on_tripwire: 'revoke-token' } })
  const command = commands.find(({ name }) => name === 'sidecar')
  if (command === undefined) throw new Error('there is no such command')
  const invocation = readInvocation(['--role', 'ec2-only', '--token-file', path.join(home, 'token')], command)
  const { parts, advance, said, settle } = manualParts(bench.env)
  const before = broker.audit().length
  const upkeep = await openUpkeep({
    invocation,
    parts,
    broker: await openBroker(invocation, parts),
    wanted: { mount: 'aws', role: 'ec2-only', ttl: null, roleArn: null, sessionName: null },
    sinks: await openSinks(null, [], parts),
    checkMs: 3_600_000,
    stopped: new AbortController().signal
  })
  const stop = new AbortController()
  const running = upkeep.run(stop.signal)
  const names = new Set<string>()
  for (let n = 1; n <= 6; n++) {
    await broker.must('POST', 'sys/latchkey/rotation/aws/rotate')
    names.add(String((await broker.must('GET', 'sys/latchkey/resolve/aws')).body.data?.['name']))
    await advance(8 * minute)
    await until('others were fetched', () => bench.asked('read', 'aws/creds/ec2-only') === n + 1)
    await settle()
  }
  stop.abort()
  await running
  t.equal(names.size, 6)
  const refused = broker.audit().slice(before).filter((entry) => entry.type === 'response' && 'error' in entry)
  t.strictSame(refused.map(({ request }) => request.path), [])
  t.notMatch(broker.output(), /a former name of a mount was used/)
  t.strictSame(said, [])
  await upkeep.end()
  t.equal(bench.asked('update', 'sys/leases/revoke'), 2, 'the leases of sessions that still live are ended')
  t.equal((await broker.ask('GET', 'auth/token/lookup-self', { token })).status, 200)
})
