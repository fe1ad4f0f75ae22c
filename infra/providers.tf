# Region, credentials and address come from the environment: the laptop and the cloud differ in
# nothing else.
provider "aws" {}
