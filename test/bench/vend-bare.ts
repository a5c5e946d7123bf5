import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts'
import { fastify } from 'fastify'
import type { VendTarget } from './vend.ts'

/** The least that vends: one route, one call of the SDK as it comes, no lease, no audit, no token. */
const target = JSON.parse(process.argv[2] ?? '{}') as VendTarget
const sts = new STSClient({ endpoint: target.endpoint, region: target.region, credentials: target.keys })
const app = fastify()

app.get('/v1/aws/sts/ec2-only', async () => {
  const { Credentials, AssumedRoleUser } = await sts.send(new AssumeRoleCommand({
    RoleArn: target.roleArn,
    RoleSessionName: `bare-${Date.now()}`,
    DurationSeconds: 900,
    ExternalId: target.externalId,
    Policy: target.policy
  }))
  return {
    data: {
      access_key: Credentials?.AccessKeyId,
      secret_key: Credentials?.SecretAccessKey,
      security_token: Credentials?.SessionToken,
      arn: AssumedRoleUser?.Arn
    }
  }
})

process.stdout.write(`serves at ${await app.listen({ port: 0, host: '127.0.0.1' })}\n`)
