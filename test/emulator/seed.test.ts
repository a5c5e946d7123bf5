import { GetCallerIdentityCommand } from '@aws-sdk/client-sts'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { startEmulator } from '../../src/emulator/server.ts'
import { SeedError } from '../../src/emulator/seed/seed-schema.ts'
import { findAccountOf } from '../../src/emulator/state/identifiers.ts'
import { startBench, trust } from './helpers/start.ts'

const main = path.join(import.meta.dirname, '../../src/emulator/main.ts')

async function identitiesWith (options: object) {
  const emulator = await startEmulator(options)
  await emulator.close()
  return emulator.identities
}

t.test('identities are as before when the secret is, and different when it is not', async (t) => {
  const file = path.join(t.testdir(), 'state', 'emulator.json')
  const first = await identitiesWith({ stateFile: file })
  t.strictSame(await identitiesWith({ stateFile: file }), first)
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.notSame(await identitiesWith({}), first)
  t.strictSame(await identitiesWith({ secret: 's' }), await identitiesWith({ secret: 's' }))
  writeFileSync(file, '{}')
  await t.rejects(startEmulator({ stateFile: file }), /not an emulator's state file/)
})

t.test('sessions outlive a restart with the same secret', async (t) => {
  const one = await startBench(t, { secret: 's' })
  const { accessKeyId, secretAccessKey } = one.keysOf('latchkey')
  const { AssumeRoleCommand } = await import('@aws-sdk/client-sts')
  const { Credentials: made } = await one.sts({ accessKeyId, secretAccessKey }).send(new AssumeRoleCommand({
    RoleArn: 'arn:aws:iam::111122223333:role/LatchkeyLocal', RoleSessionName: 'run-1'
  }))
  await one.emulator.close()
  const session = { accessKeyId: made?.AccessKeyId ?? '', secretAccessKey: made?.SecretAccessKey ?? '', sessionToken: made?.SessionToken ?? '' }
  const two = await startBench(t, { secret: 's' })
  t.match(await two.sts(session).send(new GetCallerIdentityCommand({})), { Arn: /assumed-role\/LatchkeyLocal\/run-1$/ })
  const three = await startBench(t, { secret: 'other' })
  await t.rejects(three.sts(session).send(new GetCallerIdentityCommand({})), { name: 'InvalidClientTokenId' })
})

t.test('the example seed has a broker and two customers whose roles need external ids', async (t) => {
  const { accounts } = await identitiesWith({})
  t.equal(accounts.length, 3)
  const [broker, ...customers] = accounts
  const [key] = broker?.users[0]?.accessKeys ?? []
  t.equal(findAccountOf(key?.accessKeyId ?? ''), broker?.id, 'a key\'s id holds its account')
  for (const { roles } of customers) {
    for (const { name, externalIds } of roles) t.equal(externalIds.length, 1, name)
  }
})

t.test('a seed that AWS would refuse does not start', async (t) => {
  const account = (more: object) => ({ accounts: [{ id: '111122223333', ...more }] })
  const refused: [object, RegExp][] = [
    [{ accounts: [] }, /at least one/],
    [{ accounts: [{ id: '1' }] }, /^accounts\[0\]\.id: twelve digits/],
    [{ accounts: [{ id: '111122223333' }, { id: '111122223333' }] }, /same id/],
    [account({ user: [] }), /accounts\[0\]\.user: no such member/],
    [account({ users: [{ name: 'a', boundry: 'x' }] }), /users\[0\]\.boundry: no such member/],
    [account({ roles: [{ name: 'R' }] }), /roles\[0\]\.trust: a policy document/],
    [account({ roles: [{ name: 'R', trust: trust({ AWS: 'arn:aws:iam::111122223333:user/absent' }) }] }), /role\/R trust: Invalid principal in policy/],
    [account({ users: [{ name: 'a', policies: { p: { Statement: [] } } }] }), /user\/a policy p: /],
    [account({ roles: [{ name: 'R', trust: trust({ AWS: '111122223333' }), maxSessionSeconds: 60 }] }), /maxSessionSeconds/]
  ]
  for (const [seed, message] of refused) {
    await t.rejects(startEmulator({ seed }), { constructor: SeedError, message })
  }
})

t.test('it binds to loopback only', async (t) => {
  await t.rejects(startEmulator({ host: '0.0.0.0' }), /loopback only/)
  await t.rejects(startEmulator({ host: '192.0.2.1' }), /loopback only/)
})

t.test('the program says what it is not, takes a free port and prints its identities', async (t) => {
  const folder = t.testdir({ 'seed.json': JSON.stringify({ accounts: [{ id: '123456789012', alias: 'mine', users: [{ name: 'me', accessKeys: [{}] }] }] }) })
  const program = spawn(process.execPath, [main, '--port', '0', '--seed', path.join(folder, 'seed.json'), '--state', path.join(folder, 'state.json')], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => program.kill())
  const lines: string[] = []
  const reader = createInterface({ input: program.stdout })
  reader.on('line', (line) => lines.push(line))
  while (!lines.some((line) => line.includes('user/me'))) await once(reader, 'line')
  t.match(lines[0], /not AWS/)
  const endpoint = /http:\/\/127\.0\.0\.1:\d+/.exec(lines.join('\n'))?.[0] ?? ''
  const { accounts }: { accounts?: unknown } = JSON.parse(await (await fetch(`${endpoint}/_emulator/identities`)).text())
  t.match(accounts, [{ id: '123456789012', users: [{ name: 'me' }] }])

  const second = spawn(process.execPath, [main, '--json', '--port', '0', '--seed', path.join(folder, 'seed.json'), '--state', path.join(folder, 'state.json')], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => second.kill())
  const [line] = await once(createInterface({ input: second.stdout }), 'line')
  t.match(JSON.parse(line), { notice: /not AWS/, accounts }, 'the same identities')
  program.kill('SIGTERM')
  t.strictSame(await once(program, 'exit'), [0, null])
  t.ok(readFileSync(path.join(folder, 'state.json'), 'utf8'))
})

t.test('the program refuses what it does not understand', async (t) => {
  const fails = (...args: string[]) => new Promise<string>((resolve) => {
    execFile(process.execPath, [main, ...args], (error, _out, words) => resolve(error === null ? 'started' : words))
  })
  t.match(await fails('--port', 'x'), /--port: a whole number/)
  t.match(await fails('--host', '0.0.0.0'), /loopback only/)
  t.match(await fails('--clock', 'soon'), /--clock/)
  t.match(await fails('--unknown'), /unknown/i)
})
