import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts'
import { rm } from 'node:fs/promises'
import t, { type Test } from 'tap'
import { findTerraform, type TerraformResult } from '../../deploy/terraform/play/terraform.ts'
import { startEmulator, type Emulator } from '../../src/emulator/server.ts'
import { createWorkspace } from '../helpers/terraform.ts'

const accountId = '444455556666'

/** What a broker would vend: a session of the customer's role, made with the broker's own key. */
async function vend ({ endpoint, identities }: Emulator, sessionName: string, policy?: object) {
  const broker = identities.accounts.flatMap(({ users }) => users).find(({ name }) => name === 'latchkey')
  const customer = identities.accounts.find(({ id }) => id === accountId)
  const role = customer?.roles.find(({ name }) => name === 'LatchkeyProvisioner')
  const [credentials] = broker?.accessKeys ?? []
  const [externalId] = role?.externalIds ?? []
  if (credentials === undefined || role === undefined || externalId === undefined) throw new Error('the example seed has changed')
  const client = new STSClient({ endpoint, region: 'eu-west-1', credentials })
  const { Credentials: session } = await client.send(new AssumeRoleCommand({
    RoleArn: role.arn,
    RoleSessionName: sessionName,
    ExternalId: externalId,
    ...(policy === undefined ? {} : { Policy: JSON.stringify(policy) })
  }))
  client.destroy()
  return {
    AWS_ACCESS_KEY_ID: session?.AccessKeyId ?? '',
    AWS_SECRET_ACCESS_KEY: session?.SecretAccessKey ?? '',
    AWS_SESSION_TOKEN: session?.SessionToken ?? ''
  }
}

const instance = (name: string, tags: string): string => `
data "aws_caller_identity" "self" {}

resource "aws_instance" "one" {
  ami           = "ami-0123456789abcdef0"
  instance_type = "t3.micro"
  tags          = { Name = ${JSON.stringify(name)}, ${tags} }

  root_block_device {
    volume_size = 20
  }
}

output "what" {
  value = { caller = data.aws_caller_identity.self.arn, arn = aws_instance.one.arn }
}`

const readOnly = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: 'ec2:Describe*', Resource: '*' }]
}

const tools = findTerraform(['aws'])
const limitMs = 300_000
t.setTimeout(limitMs)

/** Fails with the end of what Terraform said. */
function succeeds (t: Test, { code, output }: TerraformResult, name: string, expected = ''): void {
  t.ok(code === 0 && output.includes(expected), name, { code, expected, end: output.slice(-1500).split('\n') })
}

t.test('Terraform and its aws provider', { skip: typeof tools === 'string' && tools, timeout: limitMs }, async (t) => {
  if (typeof tools === 'string') return
  const emulator = await startEmulator()
  t.teardown(() => emulator.close())
  const workspace = await createWorkspace(tools, emulator.endpoint)
  t.teardown(() => rm(workspace.folder, { recursive: true, force: true }))
  const eventsOf = (eventName: string) =>
    emulator.trail({ eventName, accountId }).filter(({ errorCode }) => errorCode === undefined)

  await t.test('installs from the mirror', { timeout: limitMs }, async (t) => {
    await workspace.configure(instance('one', 'Run = "1"'))
    succeeds(t, await workspace.run(['init']), 'init')
  })

  await t.test('plans with a session that may only look, and applies nothing with it', { timeout: limitMs }, async (t) => {
    const session = await vend(emulator, 'run-1-plan', readOnly)
    const plan = await workspace.run(['plan', '-out=saved.plan'], session)
    succeeds(t, plan, 'plan', '1 to add, 0 to change, 0 to destroy')
    const apply = await workspace.run(['apply', 'saved.plan'], session)
    t.not(apply.code, 0)
    t.match(apply.output, /UnauthorizedOperation[\s\S]*ec2:RunInstances[\s\S]*no\s+session\s+policy\s+allows/)
    t.equal(eventsOf('RunInstances').length, 0)
  })

  await t.test('creates, changes and destroys an instance with a vended session', { timeout: limitMs }, async (t) => {
    const session = await vend(emulator, 'run-1-apply')
    const created = await workspace.run(['apply', '-auto-approve'], session)
    succeeds(t, created, 'apply', '1 added, 0 changed, 0 destroyed')
    t.match(created.output, /arn:aws:ec2:eu-west-1:444455556666:instance\/i-/)
    t.match(created.output, 'arn:aws:sts::444455556666:assumed-role/LatchkeyProvisioner/run-1-apply')
    t.match(eventsOf('RunInstances'), [{ userIdentity: { arn: /:assumed-role\/LatchkeyProvisioner\/run-1-apply$/ } }])

    const again = await workspace.run(['plan', '-detailed-exitcode'], session)
    succeeds(t, again, 'what was created is what was asked for')

    await workspace.configure(instance('two', 'Stack = "a"'))
    const changed = await workspace.run(['apply', '-auto-approve'], session)
    succeeds(t, changed, 'tags change in place', '0 added, 1 changed, 0 destroyed')

    const destroyed = await workspace.run(['destroy', '-auto-approve', '-refresh=false'], session)
    succeeds(t, destroyed, 'destroy', '1 destroyed')
    t.equal(eventsOf('TerminateInstances').length, 1)
  })

  await t.test('costs one AssumeRole a session, however many commands run', async (t) => {
    t.equal(emulator.trail({ eventName: 'AssumeRole', accountId }).length, 2)
  })
})
