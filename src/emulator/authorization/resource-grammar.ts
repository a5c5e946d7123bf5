import { splitResource } from './arn.ts'
import { PolicyError } from './policy-error.ts'

const partitions = new Set([
  '*', 'aws', 'aws-cn', 'aws-us-gov', 'aws-iso', 'aws-iso-b', 'aws-iso-e', 'aws-iso-f', 'aws-eusc'
])
const iamPaths = [
  'user/', 'federated-user/', 'role/', 'group/', 'instance-profile/', 'mfa/',
  'server-certificate/', 'policy/', 'sms-mfa/', 'saml-provider/', 'oidc-provider/', 'report/',
  'access-report/'
]

/** Refuses, with IAM's words, an entry of Resource or NotResource that IAM would not save. */
export function checkResource (resource: string): void {
  if (resource === '*') return
  const parts = splitResource(resource)
  const [scheme, partition, service, region = ''] = parts
  if (partition === undefined) {
    throw new PolicyError(`Resource ${resource} must be in ARN format or "*".`)
  }
  if (!partitions.has(partition)) {
    const rest = Array.from({ length: 4 }, (_, at) => parts[at + 2] ?? '*').join(':')
    throw new PolicyError(
      `Partition "${partition}" is not valid for resource "arn:${partition}:${rest}".`
    )
  }
  if (scheme !== 'arn') throw new PolicyError(`Resource ${resource} must be in ARN format or "*".`)
  if (service === undefined || /[*?]/.test(service)) {
    throw new PolicyError('Resource vendor must be fully qualified and cannot contain regexes.')
  }
  const cutShort = parts.length < 6 && parts.length > 3 && parts.at(-1) !== '*'
  if (service === '' || cutShort) throw new PolicyError('The policy failed legacy parsing')
  checkRegion(resource, service, region)
  if (service === 'iam') checkIamPath(parts[5] ?? '*')
}

function checkRegion (resource: string, service: string, region: string): void {
  if (region === '' || region === '*') return
  if (service === 'iam') {
    throw new PolicyError(`IAM resource ${resource} cannot contain region information.`)
  }
  if (service === 's3' && !resource.includes(':accesspoint/')) {
    throw new PolicyError(`Resource ${resource} can not contain region information.`)
  }
}

function checkIamPath (path: string): void {
  const [head = ''] = path.split(/[*?$]/)
  const isOpen = head.length < path.length
  const known = iamPaths.some((start) => path.startsWith(start) || (isOpen && start.startsWith(head)))
  if (known || path === 'root') return
  throw new PolicyError(
    `IAM resource path must either be "*" or start with ${iamPaths.join(', ')}.`
  )
}
