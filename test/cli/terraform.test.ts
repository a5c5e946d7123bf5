import { rm } from 'node:fs/promises'
import path from 'node:path'
import t, { type Test } from 'tap'
import { findTerraform, type TerraformResult } from '../../deploy/terraform/play/terraform.ts'
import { until } from '../helpers/redis.ts'
import { createWorkspace } from '../helpers/terraform.ts'
import { startBench } from './rig.ts'

const limitMs = 300_000
t.setTimeout(limitMs)
const tools = findTerraform(['aws'])
const role = /:assumed-role\/LatchkeyProvisioner\//
const launcher = path.join(import.meta.dirname, '../../src/cli/latchkey')

const configuration = `
data "aws_caller_identity" "self" {}

output "caller" {
  value = data.aws_caller_identity.self.arn
}`

/** Fails with the end of what Terraform said. */
function succeeds (t: Test, { code, output }: TerraformResult, name: string, expected: RegExp): void {
  t.ok(code === 0 && expected.test(output), name, { code, end: output.slice(-1500).split('\n') })
}

t.test('SEC-327 Terraform gets one session for all that it runs', { skip: typeof tools === 'string' && tools, timeout: limitMs }, async (t) => {
  if (typeof tools === 'string') return
  const bench = await startBench(t)
  const identity = await bench.identity()
  const workspace = await createWorkspace(tools, bench.emulator.endpoint)
  t.teardown(() => rm(workspace.folder, { recursive: true, force: true }))
  await workspace.configure(configuration)
  succeeds(t, await workspace.run(['init']), 'init', /initialized/)
  const vends = () => bench.asked('read', 'aws/creds/ec2-only')

  await t.test('from a sidecar', { timeout: limitMs }, async (t) => {
    const running = bench.start(['sidecar', '--role', 'ec2-only'], { env: identity })
    await until('it serves', () => running.out().includes('TOKEN_FILE='), 30_000)
    const env = Object.fromEntries([...running.out().matchAll(/^export (\w+)='(.*)'$/gm)].map(([, name = '', value = '']) => [name, value]))
    const plans = await Promise.all([1, 2].map(() => workspace.run(['plan', '-lock=false'], env)))
    for (const plan of plans) succeeds(t, plan, 'plan', role)
    t.equal(vends(), 1)
    running.child.kill('SIGTERM')
    t.equal((await running.ended).code, 0)
  })

  await t.test('by credential_process', { timeout: limitMs }, async (t) => {
    const config = bench.file('config', `[default]\nregion = eu-west-1\ncredential_process = ${launcher} credential-process ec2-only\n`)
    const env = { ...bench.env, ...identity, AWS_CONFIG_FILE: config }
    const before = vends()
    const plans = await Promise.all([1, 2].map(() => workspace.run(['plan', '-lock=false'], env)))
    for (const plan of plans) succeeds(t, plan, 'plan', role)
    t.equal(vends() - before, 1)
  })
})
