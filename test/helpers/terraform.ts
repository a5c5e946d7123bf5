import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { createTerraformFolder, type TerraformResult, type TerraformTools } from '../../deploy/terraform/play/terraform.ts'

/** A working folder of its own with one configuration of the aws provider, which knows no network but `endpoint`. */
export async function createWorkspace (tools: TerraformTools, endpoint: string) {
  const { folder, run } = await createTerraformFolder(tools)
  return {
    folder,
    configure: (resources: string): Promise<void> =>
      writeFile(path.join(folder, 'main.tf'), `${settings(endpoint)}\n${resources}\n`),
    run: (args: readonly string[], credentials: Readonly<Record<string, string>> = {}): Promise<TerraformResult> =>
      run(args, credentials)
  }
}

function settings (endpoint: string): string {
  const url = JSON.stringify(endpoint)
  return `
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  region            = "eu-west-1"
  s3_use_path_style = true
  endpoints {
    ec2     = ${url}
    iam     = ${url}
    route53 = ${url}
    s3      = ${url}
    sts     = ${url}
  }
}`
}
